"""The recording that `fwtui demo` replays: a real run, packed by `python -m fwtui.demo RUN_FOLDER`."""
