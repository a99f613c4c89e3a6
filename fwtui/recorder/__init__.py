"""The one process of a run that starts lanes, samples the hardware, takes turns and catches stalls."""
