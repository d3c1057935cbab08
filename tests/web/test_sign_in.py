import pytest

from frtune.errors import InputError
from frtune.web.sign_in import PASSWORD_VARIABLE, read_auth


def test_without_options_everyone_comes_in():
    assert read_auth(None, None) is None


def test_the_password_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv(PASSWORD_VARIABLE, "from:env")
    assert read_auth("ada", None) == [("ada", "from:env")]
    assert read_auth("ada:own:one", None) == [("ada", "own:one")]


def test_a_file_names_several_users(tmp_path):
    file = tmp_path / "users"
    file.write_text("# raters\nada:one\n\nbob:t:wo\n", encoding="utf-8")
    assert read_auth(None, file) == [("ada", "one"), ("bob", "t:wo")]


@pytest.mark.parametrize("auth", ["ada", ":secret", "ada:"])
def test_a_user_without_a_password_is_refused(auth, monkeypatch):
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)
    with pytest.raises(InputError, match="--auth"):
        read_auth(auth, None)


@pytest.mark.parametrize("text", ["ada", "ada:one\nada:two", "\n# nobody\n"])
def test_a_bad_file_is_refused_without_showing_passwords(tmp_path, text):
    file = tmp_path / "users"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as error:
        read_auth(None, file)
    assert "one" not in str(error.value).replace("none", "")


def test_only_one_of_the_options_is_taken():
    with pytest.raises(InputError, match="one of them"):
        read_auth("ada:x", "file")
