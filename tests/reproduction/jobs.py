"""Run folders made by hand, and a stand-in for training that starts at once."""

from pathlib import Path

from improved_gan.reproduction.plan import Job, Plan, RunOptions, make_plan
from improved_gan.runs import Run
from tests.runs.made import settings_of

# What `child` would do, without the seconds that PyTorch takes to import: epochs of 0.2 s, a lock, a log.
STAND_IN = """
import fcntl, json, os, sys, threading, time
from pathlib import Path
words = dict(zip(sys.argv[3::2], sys.argv[4::2]))
folder = Path(words["--out"])
(folder / "checkpoints").mkdir(parents=True, exist_ok=True)
lock = (folder / ".lock").open("a")
fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
asked = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), asked.set()), daemon=True).start()
log = folder / "log.jsonl"
done = len(log.read_text().splitlines()) if log.exists() else 0
print("threads", os.environ["OMP_NUM_THREADS"], words["--threads"])
if words["--seed"] == "13":
    sys.exit("improved-gan: D is not finite at step 7: training has diverged")
for epoch in range(done + 1, int(words["--epochs"]) + 1):
    time.sleep(0.2)
    wrong = 100 - epoch + int(words["--seed"])
    report = {"epoch": epoch, "epochs": int(words["--epochs"]), "step": epoch, "seconds": 60.0 * epoch}
    with log.open("a") as file:
        file.write(json.dumps(report | {"test/num_errors": wrong, "test/error": wrong / 500}) + "\\n")
    (folder / "checkpoints" / f"step-{epoch:08d}.safetensors").touch()
    if asked.is_set():
        sys.exit(130)
"""


def job(out: Path, *, split: int = 1, model: int = 1, epochs: int = 2, models: int = 1) -> Job:
    return Job("digits", 50, split, model, out / "digits-50", epochs, RunOptions(epochs=epochs), models)


def plan(out: Path, *, epochs: int = 2, **changes: object) -> Plan:
    asked = {"recipe": "digits", "labels": [], "splits": 3, "models": 1, "ensemble": 2}
    return make_plan(None, **{**asked, "out": out, "options": RunOptions(epochs=epochs), **changes})


def fill(one: Job, *, wrong: int, epoch: int = 2, checkpoint: bool = True) -> None:
    """A run folder as training leaves it, reports of the epochs up to `epoch` in it."""
    (one.folder / "checkpoints").mkdir(parents=True)
    split = {"seed": one.split, "num_labels": 50, "num_images": 1297}
    settings = settings_of(seed=one.seed, epochs=one.epochs, label_split=split)
    Run(one.folder)._write(settings, (), None)
    for number in range(1, epoch + 1):
        report = {"epoch": number, "epochs": one.epochs, "step": 12 * number, "seconds": 30.0 * number}
        report |= {"test/num_errors": wrong, "test/error": wrong / 500, "discriminator/supervised": 0.1 * number}
        Run(one.folder).append_report(report)
    if checkpoint:
        (one.folder / "checkpoints" / f"step-{12 * epoch:08d}.safetensors").touch()
