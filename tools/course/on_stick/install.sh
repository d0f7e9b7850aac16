#!/bin/sh
# Installs the course from this folder, with no network: sh install.sh [FOLDER]
# With another Python than python3: PYTHON=python3.12 sh install.sh
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
python=${PYTHON:-python3}
if ! command -v "$python" > /dev/null; then
  echo "There is no $python: install Python 3.11.4 or newer, or say which: PYTHON=python3.12 sh install.sh" >&2
  exit 1
fi
exec "$python" "$here/install.py" "$@"
