"""`fwtui completion SHELL`: a script that completes commands, options and the names of runs."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterator

from fwtui.commands.parser import Parser, one_of
from fwtui.workloads.catalogue import LANES, WORKLOADS

SHELLS = ("bash", "zsh", "fish")
TAKE_RUNS = ("attach", "report", "replay", "compare", "runs", "serve", "merge", "stream")
"""Commands whose arguments are names of runs."""
WORDS = {"--lanes": tuple(LANES), "--workload": tuple(WORKLOADS)}
"""What can follow an option beside what its parser lists."""

BASH = """# fwtui's completion for bash; put this line into ~/.bashrc:  eval "$(fwtui completion bash)"
_fwtui() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} command=${{COMP_WORDS[1]}} offered=
    case "$command" in -*) command=run ;; esac
    if [ "$COMP_CWORD" = 1 ]; then offered="{commands}"; fi
    case "$command:$word" in
{options}
    esac
    case "$command:${{COMP_WORDS[COMP_CWORD-1]}}" in
{values}
        *) case "$COMP_CWORD:$command:$word" in
            1:* | *:-*) ;;
            2:runs:*) offered="list rm" ;;
            {takers}) offered="$(fwtui runs --names 2>/dev/null)" ;;
        esac ;;
    esac
    COMPREPLY=($(compgen -W "$offered" -- "$word"))
}}
complete -o default -F _fwtui fwtui
"""
ZSH = """# fwtui's completion for zsh; put this line into ~/.zshrc:  eval "$(fwtui completion zsh)"
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
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

    options = {name: dict(_options(name)) for name in COMMANDS}
    names = " ".join(COMMANDS)
    if shell == "fish":
        lines = (
            f'complete -c fwtui -n "__fish_seen_subcommand_from {name}" -l {option[2:]}{_fish_values(values)}'
            for name, known in options.items()
            for option, values in known.items()
        )
        return FISH.format(commands=names, options="\n".join(lines), takers=" ".join(TAKE_RUNS))
    cases = "\n".join(f'        {name}:-*) offered="{" ".join(known)}" ;;' for name, known in options.items())
    values = "\n".join(
        f'        {name}:{option}) offered="{" ".join(words)}" ;;'
        for name, known in options.items()
        for option, words in known.items()
        if words is not None
    )
    takers = "|".join(f"*:{name}:*" for name in TAKE_RUNS)
    bash = BASH.format(commands=names, options=cases, values=values, takers=takers)
    return bash if shell == "bash" else ZSH + bash


def _options(name: str) -> Iterator[tuple[str, tuple[str, ...] | None]]:
    """(option, the words that can follow it; none where that is a file or a number; None for a mere switch)."""
    parser = Parser(prog=name, description="")
    importlib.import_module(f"fwtui.commands.{name}").add_arguments(parser)
    for option, action in parser._option_string_actions.items():
        if option.startswith("--"):
            yield option, None if action.nargs == 0 else WORDS.get(option, getattr(action.type, "choices", ()))


def _fish_values(words: tuple[str, ...] | None) -> str:
    return "" if words is None else f' -x -a "{" ".join(words)}"' if words else " -r"
