"""`fwtui completion SHELL`: a script that completes commands, options and the names of runs."""

from __future__ import annotations

import argparse
import importlib
import sys

from fwtui.commands.parser import Parser, one_of

SHELLS = ("bash", "zsh", "fish")
TAKE_RUNS = ("attach", "report", "replay", "compare", "runs")
"""Commands whose arguments are names of runs."""

BASH = """# fwtui's completion for bash; put this line into ~/.bashrc:  eval "$(fwtui completion bash)"
_fwtui() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} command=${{COMP_WORDS[1]}} words=
    if [ "$COMP_CWORD" = 1 ]; then words="{commands}"; fi
    case "$command:$word" in
{options}
    esac
    case "$command:$word" in
        *:-*) ;;
        {takers}) [ "$COMP_CWORD" -gt 1 ] && words="$words $(fwtui runs --names 2>/dev/null)" ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _fwtui fwtui
"""
ZSH = """# fwtui's completion for zsh; put this line into ~/.zshrc:  eval "$(fwtui completion zsh)"
autoload -U +X bashcompinit && bashcompinit
"""
FISH = """# fwtui's completion for fish; once:  fwtui completion fish > ~/.config/fish/completions/fwtui.fish
complete -c fwtui -n __fish_use_subcommand -f -a "{commands}"
{options}
complete -c fwtui -n "__fish_seen_subcommand_from {takers}" -f -a "(fwtui runs --names 2>/dev/null)"
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which shell."""
    parser.add_argument("shell", type=one_of("shell", *SHELLS), metavar="SHELL", help="|".join(SHELLS))


def main(arguments: argparse.Namespace) -> int:
    """Print the script."""
    sys.stdout.write(script(arguments.shell))
    return 0


def script(shell: str) -> str:
    """The completion script of a shell, with the commands and options that this version has."""
    from fwtui.cli import COMMANDS

    options = {name: _options(name) for name in COMMANDS}
    names = " ".join(COMMANDS)
    if shell == "fish":
        lines = (
            f'complete -c fwtui -n "__fish_seen_subcommand_from {name}" -l {option[2:]}'
            for name, known in options.items()
            for option in known
        )
        return FISH.format(commands=names, options="\n".join(lines), takers=" ".join(TAKE_RUNS))
    cases = "\n".join(f'        {name}:-*) words="{" ".join(known)}" ;;' for name, known in options.items())
    bash = BASH.format(commands=names, options=cases, takers="|".join(f"{name}:*" for name in TAKE_RUNS))
    return bash if shell == "bash" else ZSH + bash


def _options(name: str) -> list[str]:
    parser = Parser(prog=name, description="")
    importlib.import_module(f"fwtui.commands.{name}").add_arguments(parser)
    return [option for option in parser._option_string_actions if option.startswith("--")]
