"""Runs another program of this folder in a thread: `in_thread.py PROGRAM ARGUMENT…`."""

import runpy
import sys
import threading

sys.argv = sys.argv[1:]
program = __file__.replace("in_thread.py", sys.argv[0])
thread = threading.Thread(target=runpy.run_path, args=(program,), kwargs={"run_name": "__main__"})
thread.start()
thread.join()
