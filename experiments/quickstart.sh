#!/bin/sh
# The quickstart: three commands, shown as they run. Usage: quickstart.sh [GRID]
set -eu
grid=${1:-experiments/quickstart.yaml}

show() {
    printf '\n$ %s\n' "$*"
    "$@"
}

show scaling run "$grid"
show scaling fit --compare clip mammut --study "$(basename "$grid" .yaml)"
show scaling plot --compare clip mammut --study "$(basename "$grid" .yaml)" -o clip_vs_mammut.png
