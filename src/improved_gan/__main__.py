"""`python -m improved_gan` is the `improved-gan` command."""

from improved_gan.cli import main

if __name__ == "__main__":
    main()
