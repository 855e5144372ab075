import subprocess
import sys


def test_help_of_every_command_is_quick_and_has_an_example() -> None:
    for name in ("serve", "create", "report", "export", "import", "token", "backup", "simulate"):
        command = [sys.executable, "-m", "improved_gan", "turing-test", name, "--help"]
        assert "Example" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
    program = "import sys, improved_gan.commands.turing_test; sys.exit(bool({'numpy', 'starlette'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
