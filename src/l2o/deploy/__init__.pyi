# The public names: type checkers read them here, and so does `__init__.py` at run time.
from l2o.deploy._save import load as load, save as save
