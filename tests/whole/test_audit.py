import json

from audit import told

SAFE = {"name": "a", "version": "1", "vulns": []}
WEAK = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"]}]}
UNKNOWN = {"name": "c", "skip_reason": "Dependency not found"}


def test_packages_that_nobody_knows_are_not_counted_as_audited():
    assert told(json.dumps({"dependencies": [SAFE, UNKNOWN]})) == (
        ["1 of 2 packages audited: 0 known weaknesses; 1 are not known to the service, or are installed from here"],
        True,
    )
    assert told(json.dumps({"dependencies": [UNKNOWN]}))[1] is False


def test_a_weakness_is_named_and_fails():
    lines, is_well = told(json.dumps({"dependencies": [SAFE, WEAK]}))
    assert lines == ["b 2: PYSEC-1, mended in 2.1", "2 of 2 packages audited: 1 known weaknesses"]
    assert not is_well
