import subprocess
import sys


def test_importing_tasks_is_light():
    code = "import sys, l2o.tasks; print(*{'sklearn', 'PIL', 'pandas'} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == ""
