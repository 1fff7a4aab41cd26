"""Papers repeated and questions answered, from meta-training to the page: a folder each."""

from l2o.studies.reproduction import Reproduction as Reproduction
from l2o.studies.reproductions import (
    REPRODUCTIONS as REPRODUCTIONS,
    find_reproduction as find_reproduction,
)
