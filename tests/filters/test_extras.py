from __future__ import annotations

import sys

import numpy as np
import pytest

from meddenoise.errors import MissingDependency
from meddenoise.filters import apply_filter
from meddenoise.volume import Volume


@pytest.mark.parametrize("method", ["mppca", "patch2self"])
@pytest.mark.parametrize("missing", ["dipy", "sklearn"])
def test_the_error_names_the_extra(
    method: str, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [name for name in sys.modules if name.split(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, missing, None)
    scan = Volume.from_array(np.random.default_rng(0).standard_normal((12, 6, 6, 6)))
    with pytest.raises(MissingDependency, match=rf"'{method}'.*pip install \"meddenoise\[dipy\]\""):
        apply_filter(scan, method)
