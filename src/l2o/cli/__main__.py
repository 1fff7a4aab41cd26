"""`python -m l2o.cli` is `l2o`."""

import sys

from l2o.cli import main

sys.exit(main())
