# The public names: type checkers read them here, and so does `__init__.py` at run time.
from l2o.report.comparison import (
    Comparison as Comparison,
    Setting as Setting,
    tuned_as_dict as tuned_as_dict,
)
from l2o.report.distillation import Distillation as Distillation, Score as Score
from l2o.report.explanation import (
    Subject as Subject,
    write_explanation as write_explanation,
)
from l2o.report.flatness_page import write_flatness as write_flatness
from l2o.report.html import write_report as write_report
from l2o.report.verdict import Verdict as Verdict, judge as judge
