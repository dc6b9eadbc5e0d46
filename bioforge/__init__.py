"""bioforge: fine-tune a writer of biographies and a judge of sentences, from the terminal."""

__version__ = "0.1.0"
