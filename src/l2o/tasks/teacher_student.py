"""Regression on what another network says."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from l2o.support.checks import check_number, check_size
from l2o.tasks.networks import MLP, Activation, MLPFamily
from l2o.tasks.task import Params, Task, TaskFamily

Examples = tuple[Float[Array, "_rows _inputs"], Float[Array, "_rows _outputs"]]
"""Inputs, and targets."""


class TeacherStudent(Task):
    """The mean squared error of a network, the student, on targets of another one, the teacher.

    **Arguments:** `student`; `train` and `test`, the examples to learn from and to judge on;
    `batch_size`, rows in a minibatch, drawn independently and with replacement.

    ```pycon
    >>> examples = jnp.ones((4, 3)), jnp.ones((4, 1))
    >>> task = l2o.tasks.TeacherStudent(l2o.tasks.MLP((3, 2, 1)), examples, examples, batch_size=2)
    >>> sorted(task.evaluate(task.init(jax.random.key(0))))
    ['test_loss']
    ```
    """

    student: MLP
    train: Examples
    test: Examples
    batch_size: int = eqx.field(static=True, default=64)

    def __check_init__(self) -> None:
        check_size("batch_size", self.batch_size)

    def init(self, key: PRNGKeyArray) -> Params:
        """Draws the student's parameters."""
        return self.student.init(key)

    def sample(self, key: PRNGKeyArray) -> Examples:
        """Draws a minibatch."""
        inputs, targets = self.train
        rows = jax.random.randint(key, (self.batch_size,), 0, len(inputs))
        return inputs[rows], targets[rows]

    def whole_batch(self) -> Examples:
        """All examples to learn from."""
        return self.train

    def loss(self, params: Params, batch: Examples) -> Float[Array, ""]:
        """The mean squared error."""
        inputs, targets = batch
        return jnp.mean((self.student(params, inputs) - targets) ** 2)

    def evaluate(self, params: Params) -> dict[str, Float[Array, ""]]:
        """The mean squared error on the examples to judge on."""
        return {"test_loss": self.loss(params, self.test)}


class TeacherStudentFamily(TaskFamily):
    """Regressions on random networks, their teachers, with noise in what these say.

    Every task has a teacher, a student and examples of its own. Inputs are standard normal. The
    teacher is a tanh network with weights twice as large as usual, so that it is not nearly linear;
    its outputs are shifted and scaled to mean zero and variance one over the examples.

    **Arguments:**

    - `inputs`: Numbers that a network gets.
    - `hidden`: Units of each hidden layer of the student.
    - `activations`: Activation of the student's hidden units; one of them is drawn for each task.
    - `outputs`: Numbers that a network gives.
    - `teacher_hidden`: Units of each hidden layer of the teacher.
    - `num_rows`: Examples to learn from; there are as many to judge on.
    - `batch_size`: Examples in a minibatch.
    - `noise`: Standard deviation of the noise in the targets to learn from.
    - `min_width`: Least width of the student's hidden layers; without it, all units are there.

    **Raises:** `ValueError` for an unknown activation, or numbers out of range.

    ```pycon
    >>> family = l2o.tasks.TeacherStudentFamily(inputs=3, hidden=(4,), num_rows=10)
    >>> inputs, targets = family.sample(jax.random.key(0)).train
    >>> targets.shape, bool(abs(targets.mean()) < 1e-6)
    ((10, 1), True)
    ```
    """

    inputs: int = eqx.field(static=True, default=16)
    hidden: tuple[int, ...] = eqx.field(static=True, default=(32,))
    activations: tuple[Activation, ...] = eqx.field(static=True, default=("relu",))
    outputs: int = eqx.field(static=True, default=1)
    teacher_hidden: tuple[int, ...] = eqx.field(static=True, default=(16,))
    num_rows: int = eqx.field(static=True, default=512)
    batch_size: int = eqx.field(static=True, default=64)
    noise: float = eqx.field(static=True, default=0.0)
    min_width: int | None = eqx.field(static=True, default=None)

    def __check_init__(self) -> None:
        check_size("num_rows", self.num_rows, least=2)
        check_size("batch_size", self.batch_size)
        check_number("noise", self.noise, least=0)
        self._students()
        self._teacher()

    @property
    def title(self) -> str:
        """Student and teacher in a few words."""
        return f"{self._students().title}, taught by a {self._teacher().title}"

    def _students(self) -> MLPFamily:
        sizes = (self.inputs, *self.hidden, self.outputs)
        return MLPFamily(sizes, self.activations, self.min_width)

    def _teacher(self) -> MLP:
        sizes = (self.inputs, *self.teacher_hidden, self.outputs)
        return MLP(sizes, "tanh", init_scale=jnp.asarray(2.0))

    def sample(self, key: PRNGKeyArray) -> TeacherStudent:
        """Draws student, teacher and examples."""
        student_key, teacher_key, input_key, noise_key = jax.random.split(key, 4)
        teacher = self._teacher()
        inputs = jax.random.normal(input_key, (2 * self.num_rows, self.inputs))
        said = teacher(teacher.init(teacher_key), inputs)
        train, test = said[: self.num_rows], said[self.num_rows :]
        mean, spread = jnp.mean(train, axis=0), jnp.std(train, axis=0)
        train, test = (train - mean) / spread, (test - mean) / spread
        noisy = train + self.noise * jax.random.normal(noise_key, train.shape)
        return TeacherStudent(
            self._students().sample(student_key),
            (inputs[: self.num_rows], noisy),
            (inputs[self.num_rows :], test),
            self.batch_size,
        )
