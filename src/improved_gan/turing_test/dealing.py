"""Which pictures a judge's trials show: those shown least so far, ties at random; those of one prompt together."""

import secrets
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from sqlalchemy import Connection, func, select, update

from improved_gan.turing_test.plan import PlannedTrial
from improved_gan.turing_test.studies import OpenStudy
from improved_gan.turing_test.tables import Condition, Picture
from improved_gan.turing_test.votes import CHECK

__all__ = ["deal"]

Dealt = tuple[list[int], str | None]  # pictures from left to right, and the prompt beside them


def deal(connection: Connection, study: OpenStudy, plan: list[PlannedTrial]) -> list[Dealt]:
    """For each trial its pictures' ids; a repeated trial (another question) has those of the trial before."""
    deal_one = _by_prompt(connection, study) if study.has_prompts else _by_condition(connection, study, plan)
    dealt: list[Dealt] = []
    for one in plan:
        dealt.append(dealt[-1] if one.is_repeated else deal_one.take(one.conditions))
    shown = Counter(number for one, (ids, _) in zip(plan, dealt, strict=True) if not one.is_repeated for number in ids)
    by_count = defaultdict(list)
    for number, times in shown.items():
        by_count[times].append(number)
    for times, ids in by_count.items():
        connection.execute(update(Picture).where(Picture.id.in_(ids)).values(num_planned=Picture.num_planned + times))
    return dealt


class _ByCondition:
    """Each condition's pictures in the order in which they are shown; few pictures come again."""

    def __init__(self, ids: dict[str, list[int]]) -> None:
        self._ids, self._next = ids, Counter[str]()

    def take(self, conditions: tuple[str, ...]) -> Dealt:
        found = []
        for name in conditions:
            found.append(self._ids[name][self._next[name] % len(self._ids[name])])
            self._next[name] += 1
        return found, None


def _by_condition(connection: Connection, study: OpenStudy, plan: list[PlannedTrial]) -> _ByCondition:
    needed = Counter(name for one in plan if not one.is_repeated for name in one.conditions)
    conditions = connection.execute(select(Condition.id, Condition.name).where(Condition.study_id == study.id)).all()
    ids = {}
    for condition_id, name in conditions:
        if needed[name]:
            query = select(Picture.id).where(Picture.condition_id == condition_id)
            query = query.order_by(Picture.num_planned, func.random()).limit(needed[name])
            ids[name] = list(connection.scalars(query))
    return _ByCondition(ids)


@dataclass
class _Stock:
    """The pictures of a condition by prompt: [shown to this judge, shown to all, chance, id] each."""

    by_prompt: dict[str, list[list[int]]] = field(default_factory=lambda: defaultdict(list))


class _ByPrompt:
    """For each trial a prompt that has a picture in each of its conditions, the one shown least."""

    def __init__(self, stocks: dict[str, _Stock], checks: list[int]) -> None:
        self._stocks, self._checks = stocks, checks

    def take(self, conditions: tuple[str, ...]) -> Dealt:
        needed = Counter(name for name in conditions if name != CHECK)
        if not needed:  # a false picture alone: beside any prompt, so that nothing tells it apart
            needed = Counter([secrets.choice(sorted(self._stocks))])
        prompts = [
            prompt for prompt in self._stocks[next(iter(needed))].by_prompt
            if all(len(self._stocks[name].by_prompt.get(prompt, [])) >= count for name, count in needed.items())
        ]  # fmt: skip

        def cost(prompt: str) -> tuple[int, int, int]:
            least = [sorted(self._stocks[name].by_prompt[prompt])[:count] for name, count in needed.items()]
            rows = [row for some in least for row in some]
            return sum(row[0] for row in rows), sum(row[1] for row in rows), secrets.randbits(30)

        prompt = min(prompts, key=cost)
        found = []
        for name in conditions:
            if name == CHECK:
                found.append(secrets.choice(self._checks))
                continue
            row = min(self._stocks[name].by_prompt[prompt])
            row[0], row[1] = row[0] + 1, row[1] + 1
            found.append(row[3])
        return found, prompt


def _by_prompt(connection: Connection, study: OpenStudy) -> _ByPrompt:
    query = select(Picture.id, Picture.prompt, Picture.num_planned, Condition.name).join(Condition)
    stocks: dict[str, _Stock] = defaultdict(_Stock)
    checks = []
    for number, prompt, planned, name in connection.execute(query.where(Picture.study_id == study.id)):
        if name == CHECK:
            checks.append(number)
        else:
            stocks[name].by_prompt[prompt or ""].append([0, planned, secrets.randbits(30), number])
    return _ByPrompt(dict(stocks), checks)
