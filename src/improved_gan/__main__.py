"""`python -m improved_gan` is the `improved-gan` command."""

from improved_gan.cli.command_line import main

if __name__ == "__main__":
    main()
