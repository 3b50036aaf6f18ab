"""Settings that cannot be are refused with what would do, wherever they stand."""

import pytest

from kg4p1000.kernel.errors import BadSettings
from kg4p1000.kernel.settings import load


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "0", "-1", "x", ""])
@pytest.mark.parametrize("name", ["query_timeout", "client_rate"])
def test_a_number_is_finite_and_above_zero(name, value):
    with pytest.raises(BadSettings, match=f"{name} is .* must be a number above zero"):
        load(environment={f"KG4P1000_{name.upper()}": value})
    with pytest.raises(BadSettings):
        load(flags={name: float("nan")})


@pytest.mark.parametrize("value", ["1.5", "nan", "0", "-3", "one"])
def test_a_whole_number_is_one(value):
    with pytest.raises(BadSettings, match="must be a whole number above zero"):
        load(environment={"KG4P1000_READERS": value})


@pytest.mark.parametrize("value", ["inf", "1.5", "true", "[1]", "{ a = 1 }"])
def test_a_file_with_a_value_that_cannot_be_is_refused(tmp_path, value):
    path = tmp_path / "kg4p1000.toml"
    path.write_text(f"queue = {value}\n")
    with pytest.raises(BadSettings, match="must be a whole number above zero"):
        load(file=path)
