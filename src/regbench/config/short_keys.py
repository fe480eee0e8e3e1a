"""Keys that may be written short. Imports nothing, as completion must be quick."""

SHORT = {"study": "runtime.study", "diagnostics": "runtime.diagnostics", "tracker": "runtime.tracker"}
