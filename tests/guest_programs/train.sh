#!/bin/sh
# A shell script that starts a training, as clusters have them.
set -e
here=$(dirname "$0")
echo "starting"
exec "${PYTHON:-python}" "$here/torch_variants.py" loader
