"""From runs to conclusions.

Others use `summary` (`compare`) with its result in `table` (`Table`, `Row`, `Contrast`, `Against`), `effects`,
`corrections` (the choices, quick to import), `groups` (`config_keys`, `differing`, `sortable`), `baseline` (`spec`,
`matches`), `intervals` (`LEVEL`) and `inference` (the limits that a footer names).

Pictures and reports ask by a `question` (`Question`) and use `curves`, `lines`, `joined`, `swept`, `ranks`, `layers`,
`confusion` and `filters`, each a function that returns plain numbers.
"""
