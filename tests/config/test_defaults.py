"""Values that nobody sets."""

from regbench.config.defaults import completed
from regbench.config.run_config import Runtime


def test_a_record_of_an_older_version_gets_the_values_of_runtime_that_it_lacks() -> None:
    runtime = completed({"seed": 1, "runtime": {"study": "norms"}}, threads=2)["runtime"]
    assert runtime.keys() == Runtime.model_fields.keys()
    assert (runtime["study"], runtime["threads"], runtime["tracker"]) == ("norms", 2, "none")
