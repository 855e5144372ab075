import asyncio

from sqlalchemy import select

from improved_gan.turing_test.tables import Picture


def test_pictures_come_from_memory_the_second_time(world) -> None:
    here = world()
    site = here.app.state.site
    with here.engine.connect() as connection:
        number, png = connection.execute(select(Picture.id, Picture.png)).first()
    assert asyncio.run(site.png(number)) == png
    assert site._pictures[number] == png
    assert asyncio.run(site.study(here.study.slug)) == here.study
    assert asyncio.run(site.study("nothing")) is None
