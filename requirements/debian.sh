#!/bin/sh
# What no wheel brings: libGL and glib for OpenCV (which Ultralytics imports), Chromium for the tests of the report.
# Installs them where it may, names them where it may not. Elsewhere than on Debian it only looks.
set -eu

missing=
ldconfig -p 2>/dev/null | grep -q 'libGL\.so\.1' || missing="$missing libgl1"
ldconfig -p 2>/dev/null | grep -q 'libgthread-2\.0\.so\.0' || missing="$missing libglib2.0-0"
needed=$missing
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing Debian packages:$missing" >&2
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null && exit 0
fi
if [ -n "$needed" ]; then
    echo "error: missing system libraries" >&2
    echo "hint: sudo apt-get install$missing" >&2
    exit 1
fi
echo "note: without chromium the browser tests of the report are skipped (sudo apt-get install chromium)" >&2
