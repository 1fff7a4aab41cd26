"""Meta-training as a recipe has it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from l2o.deploy import save
from l2o.metatraining import (
    CurriculumResult,
    MetaTrainingResult,
    Progress,
    metatrain,
    metatrain_on_curriculum,
)
from l2o.runs.building import arguments_of_metatrain, build_curriculum, keys_of
from l2o.runs.feasibility import check_training
from l2o.runs.making import families_of, make_optimizer, make_trained_on
from l2o.runs.named import as_recipe
from l2o.runs.recipe import Recipe
from l2o.runs.run_folder import RunFolder
from l2o.support.kinds import held_to_kinds
from l2o.support.lock import only_writer


@held_to_kinds
def train(
    recipe: Recipe | Path | str,
    folder: RunFolder | Path | str,
    *,
    resume: bool = False,
    on_start: Callable[[], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> MetaTrainingResult:
    """Meta-trains the recipe's optimizer and saves the best one: `l2o train`.

        recipe = runs.find_recipe("digits-rnnprop")
        shorter = replace(recipe, training=replace(recipe.training, meta_steps=200))
        print(runs.train(shorter, "runs/x").best_score)

    **Arguments:**

    - `recipe`: what to do, or the name of a recipe, or that of a JSON file.
    - `folder`: where to write the config, metrics, checkpoints and, last, the optimizer.
    - `resume`: whether to go on where a run of the same recipe in the folder stopped. The result
      is the same as if it had never stopped.
    - `on_start`: called once all is checked, before anything is computed.
    - `on_progress`: called as `l2o.metatrain` does.

    **Returns:** what `l2o.metatrain` does; of a curriculum, its last stage that brought something,
    with all meta-gradients that were skipped and all rows.

    **Raises:** `ValueError` for settings out of range, or that do not go together, or take more
    memory than there is, for missing data, and for a folder that holds anything but a run to
    resume or that another process is writing into; nothing is written then.
    """
    recipe = as_recipe(recipe).completed()
    folder = RunFolder.at(folder)
    trained_on = make_trained_on(recipe)
    curriculum = build_curriculum(recipe.training)
    how = arguments_of_metatrain(recipe)
    check_training(recipe, trained_on, how)
    how |= {"folder": folder.path, "resume": resume, "on_progress": on_progress}
    family, *_ = families_of(trained_on)
    optimizer = make_optimizer(recipe.optimizer, keys_of(recipe)[0], family)
    with only_writer(folder.path):
        folder.claim(recipe, resume=resume)
        if on_start is not None:
            on_start()
        if curriculum is None:
            result = metatrain(optimizer, trained_on, **how)
        else:
            result = _as_one(metatrain_on_curriculum(optimizer, trained_on, curriculum, **how))
        save(result.optimizer, folder.optimizer)
    return result


def _as_one(curriculum: CurriculumResult) -> MetaTrainingResult:
    """The last stage that brought something, or else the first, in the name of all."""
    helped = [stage for stage in curriculum.stages if stage.best_step > 0]
    return replace(
        helped[-1] if helped else curriculum.stages[0],
        num_skipped=sum(stage.num_skipped for stage in curriculum.stages),
        history=[row for stage in curriculum.stages for row in stage.history],
    )
