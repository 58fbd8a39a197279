"""Reads every pair below a folder with PyYAML and prints {id: the file's mapping} as JSON.

Both of PyYAML's readers must agree: its own, and libyaml, which the reader of many other languages is.
"""

import json
import pathlib
import sys

import yaml

root = pathlib.Path(sys.argv[1])
read = {}
for path in sorted(root.glob("*/*.yaml")):
    text = path.read_bytes()
    pair = yaml.load(text, Loader=yaml.SafeLoader)
    if yaml.load(text, Loader=yaml.CSafeLoader) != pair:
        sys.exit(f"{path}: libyaml reads it differently")
    read[path.relative_to(root).with_suffix("").as_posix()] = pair
json.dump(read, sys.stdout)
