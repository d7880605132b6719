"""All tables: the files rows_*.py of this folder."""
import glob
import importlib
import os

for path in sorted(glob.glob(os.path.join(os.path.dirname(os.path.abspath(__file__)), "rows_*.py"))):
    importlib.import_module(os.path.basename(path)[:-3])
