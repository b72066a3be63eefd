#!/bin/sh
# Type checkers know no import hooks: show them the tree that the wheel has, in build/types.
# Files are linked, not folders: pyright skips linked folders.
set -eu
cd "$(dirname "$0")/.."
rm -rf build/types
find nco envs policies data configs -name '*.py' -o -name py.typed | while read -r file; do
    case $file in
        nco/*) target=build/types/$file ;;
        *) target=build/types/nco/$file ;;
    esac
    mkdir -p "$(dirname "$target")"
    ln -s "$PWD/$file" "$target"
done
