import pytest

from frtune.errors import InputError
from frtune.models.families import FAMILIES, families_for, family_for, family_named


def test_every_family_has_its_builder_under_the_same_name():
    import frtune

    for family in FAMILIES.values():
        assert getattr(frtune, family.builder).__kwdefaults__["checkpoint"] == (
            family.default_checkpoint
        )


def test_model_types_belong_to_one_family_each():
    model_types = [name for family in FAMILIES.values() for name in family.model_types]
    assert len(model_types) == len(set(model_types))
    assert {family_for(name).name for name in model_types} == set(FAMILIES)


def test_an_unknown_family_is_offered_the_nearest():
    with pytest.raises(InputError, match=r"family='camenbert'.*Did you mean camembert\?"):
        family_named("camenbert")


def test_an_unknown_model_type_lists_the_known_ones():
    with pytest.raises(InputError, match=r"model_type='whisper'.*gpt_neox"):
        family_for("whisper")


def test_families_are_listed_by_kind():
    kinds = ("encoder", "encoder-decoder", "decoder")
    assert families_for(kinds) == list(FAMILIES)
    assert sum(len(families_for({kind})) for kind in kinds) == len(FAMILIES)
    assert "bert" in families_for({"encoder"}) and "llama" in families_for({"decoder"})


def test_the_table_does_not_load_torch():
    import subprocess
    import sys

    code = "import frtune.models.families, sys; print({'torch'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
