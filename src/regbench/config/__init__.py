"""What a run is.

Others use `run_config` (`RunConfig`, `AXES`, `flat`), `registry` (`Registry`, `Option`, `Checked`, `Share`), `wording`
(`wrong_value`, `describe`) and `location` (`config_dir`, `CHECKOUT`).
"""
