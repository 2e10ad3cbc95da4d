"""How much each key of a search matters."""

from __future__ import annotations

import warnings
from typing import Any

__all__ = ["importance_of_keys"]

# Trials that a variance is told from.
_FEWEST = 4


def importance_of_keys(optuna: Any, study: Any) -> tuple[dict[str, float], str]:
    """The keys' shares in the objective's variance (fANOVA), and a sentence why there are none.

    Args:
        optuna: the package.
        study: with at least one finished trial.
    """
    done = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    varied = [key for key in study.best_params if len({str(t.params.get(key)) for t in done}) > 1]
    why = ""
    if len(done) < _FEWEST:
        why = f"{len(done)} of at least {_FEWEST} trials have gone to their end: call it again."
    elif not varied:
        why = "no key had more than one value in the trials that went to their end."
    elif len({t.value for t in done}) == 1:
        why = "all trials validated the same: the keys make no difference."
    if why:
        return {}, f"The importance of keys cannot be told: {why}"
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    try:
        import sklearn  # noqa: F401
        from optuna.importance import FanovaImportanceEvaluator

        evaluator = FanovaImportanceEvaluator(seed=0)
    except ImportError:
        pass
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = optuna.importance.get_param_importances(study, evaluator=evaluator, params=varied)
    return {key: float(share) for key, share in found.items()}, ""
