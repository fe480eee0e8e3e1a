"""Where a search keeps its trials: a database, or a journal in a shared folder."""

import time

import optuna
import sqlalchemy
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from regbench.errors import UserError, missing
from regbench.sweep.search_settings import Direction

_JOURNAL = "journal:"
_TRIES, _SECONDS = 20, 0.5  # at opening a database, and between them
_SECONDS_FOR_WRITERS = 120
_PACKAGES = {"psycopg2": "psycopg2-binary", "psycopg": "psycopg[binary]", "MySQLdb": "mysqlclient"}  # of drivers


def opened(storage: str, name: str, direction: Direction) -> optuna.Study:
    """Open a study, or make it.

    Args:
        storage: a database's URL, or journal:PATH.
        name: of the study.
        direction: which way its figure gets better.

    Raises:
        UserError: the storage cannot be opened.
    """
    for tries_left in reversed(range(_TRIES)):
        try:
            return optuna.create_study(
                storage=_storage(storage),
                study_name=name,
                direction=direction,
                load_if_exists=True,
                pruner=optuna.pruners.NopPruner(),
            )
        except (
            sqlalchemy.exc.IntegrityError,
            sqlalchemy.exc.OperationalError,
            sqlalchemy.exc.ProgrammingError,
            optuna.exceptions.StorageInternalError,
        ) as error:
            # Another start makes the tables, or the study, at the same moment
            if not tries_left or "unable to open" in str(error):
                raise _not_opened(storage, error) from None
            time.sleep(_SECONDS)
        except ImportError as error:
            raise _no_driver(storage, error) from None
        except Exception as error:  # of Optuna, of SQLAlchemy, of the database's driver, or of the file system
            raise _not_opened(storage, error) from None
    raise AssertionError("the last try returns or raises")


def _storage(storage: str) -> str | BaseStorage:
    """Return the storage; a database in a file waits for other starts as long as they write.

    The lock of a journal is a file of its own, which network file systems make only once (NFS from version 3).
    """
    if storage.startswith(_JOURNAL):
        path = storage.removeprefix(_JOURNAL)
        return JournalStorage(JournalFileBackend(path, lock_obj=JournalFileOpenLock(path)))
    if not storage.startswith("sqlite:"):
        return storage
    return RDBStorage(storage, engine_kwargs={"connect_args": {"timeout": _SECONDS_FOR_WRITERS}})


def _no_driver(storage: str, error: ImportError) -> UserError:
    """Name the package of a database's driver, which Optuna leaves to the user; its error wraps Python's."""
    name = str(getattr(error.__cause__ or error.__context__ or error, "name", None) or "of the database")
    what = f"hydra.sweeper.storage={storage.partition(':')[0]}://…: the driver {name}"
    return missing(what, [_PACKAGES.get(name, name)])


def _not_opened(storage: str, error: Exception) -> UserError:
    if isinstance(error, OSError) and error.strerror:
        reason = error.strerror
    elif storage.startswith(_JOURNAL):
        reason = "the file is no journal of Optuna"
    else:
        text = " ".join(str(error).split()).partition(" (Background")[0]
        reason = f"{type(error).__name__}: {text[:120]}"
    return UserError(
        f"hydra.sweeper.storage={storage}: cannot be opened ({reason}). "
        "Write a database's URL, as sqlite:///optuna.db, or a file in a shared folder, as journal:optuna.log"
    )
