"""Names and keywords: what Python, JSON and the command line say alike of what can be made.

A thing's settings are the keywords of the one callable that makes it. Flags, files and help texts
are made of its signature and its docstring.
"""

from l2o.composition.catalogue import (
    ESTIMATOR as ESTIMATOR,
    LEARNED_OPTIMIZER as LEARNED_OPTIMIZER,
    REGULARIZER as REGULARIZER,
    TASK_FAMILY as TASK_FAMILY,
    WEIGHTING as WEIGHTING,
    Kind as Kind,
    Member as Member,
    behind_weightings as behind_weightings,
    find_member as find_member,
    members as members,
    names_behind_weightings as names_behind_weightings,
    refuse_optimizer as refuse_optimizer,
)
from l2o.composition.composed import Composed as Composed
from l2o.composition.docstrings import summary as summary
from l2o.composition.references import (
    digest_of_code as digest_of_code,
    error_in_a_line as error_in_a_line,
    find_object as find_object,
    is_reference as is_reference,
    may_be_same as may_be_same,
)
from l2o.composition.settings import (
    REQUIRED as REQUIRED,
    Setting as Setting,
    read_keywords as read_keywords,
    settings_of as settings_of,
)
