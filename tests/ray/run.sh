#!/usr/bin/env bash
# Tests of the Ray launcher: run.sh BIN, BIN being the bin folder of the main environment. Its plugin pins
# cloudpickle below 3 and joblib wants 3, so Ray gets an environment of its own that sees the main one's packages.
set -euo pipefail
bin=$1
here=$(cd "$(dirname "$0")/../.." && pwd)
venv=${RAY_VENV:-$here/.venv-ray}
if [ ! -f "$venv/.installed" ]; then
  "$bin/python" -m venv "$venv"
  own=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
  "$bin/python" -c 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_paths()["purelib"])' >"$own/main.pth"
  "$venv/bin/python" -m pip install --quiet 'hydra-ray-launcher>=1.2' 'cloudpickle<3' 'ray[default]>=2.9'
  touch "$venv/.installed"
fi
cd "$here"
# A cluster of this test alone: no password, nothing reported home, no workers killed because others use much memory.
export RAY_AUTH_MODE=disabled RAY_USAGE_STATS_ENABLED=0 RAY_memory_monitor_refresh_ms=0
PYTHONPATH=$here/src exec "$venv/bin/python" -m pytest --timeout 600 -m ray tests/ray
