"""A study of these folders in a database, for the tests of judging."""

from sqlalchemy import Engine

from improved_gan.turing_test.collection import StudyFolders
from improved_gan.turing_test.database import open_database
from improved_gan.turing_test.settings import StudySettings
from improved_gan.turing_test.studies import OpenStudy, create_study


def started(database: str, folders: StudyFolders, **words: object) -> tuple[Engine, OpenStudy]:
    engine = open_database(database)
    settings = StudySettings(**{"trials": 8, "practice": 2, "checks": 1, **words})
    return engine, create_study(engine, folders, settings)[0]
