"""Checkpoints in and out: safetensors only, nothing executed, nothing silently initialised.

A pickle is refused because unpickling runs code; a missing tensor because transformers would fill it with
random numbers; a NaN because every score after it would be absent.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from audit.core.errors import AuditError
from audit.core.lazy import lazy
from audit.models.digests import adapter_digest, files_digest, settings_of, untied, weight_digest
from audit.models.joined import register as register_joined
from audit.models.language_model import Encoded, LanguageModel, PromptTemplate, compute_dtype, resolve_device
from audit.models.layers import check_head, inner

__all__ = [
    "Encoded",
    "LanguageModel",
    "PromptTemplate",
    "check_folder",
    "compute_dtype",
    "folder_digest",
    "load",
    "resolve_device",
    "save",
    "weight_digest",
]

torch = lazy("torch")
transformers = lazy("transformers")
transformers_logging = lazy("transformers.utils.logging")
safetensors = lazy("safetensors")
safetensors_torch = lazy("safetensors.torch")
peft = lazy("peft")

PROMPT_FILE = "audit_prompt.json"
ADAPTER_FILE = "adapter_model.safetensors"
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model")


def load(
    path: Path, *, device: str = "auto", prompt: str | None = None, base: LanguageModel | None = None
) -> LanguageModel:
    """Return the model in a local directory, float32, in eval mode, on ``device``.

    Parameters
    ----------
    path: a transformers directory (configuration, safetensors, tokenizer) or an adapter written by ``save``.
    device: ``auto`` (CUDA where there is one), ``cpu``, ``cuda`` or ``cuda:1``.
    prompt: prompt style; default is what ``save`` wrote, else the tokenizer's chat template, else ``qa``.
    base: the model an adapter belongs to; default is the base that the adapter's configuration names.

    Raises
    ------
    AuditError: E201 pickle, E202 incomplete directory, E203 NaN or infinite weights, E204 tokenizer that does
        not match, E208 unsupported architecture, E213 tensors missing from the files.
    """
    folder = Path(path)
    check_folder(folder)
    if (folder / "adapter_config.json").is_file():
        return _load_adapter(folder, device, prompt, base)
    target = resolve_device(device)
    _check_config(folder)
    tokenizer = _load_tokenizer(folder)
    network = _load_network(folder)
    _check_finite(network.state_dict())
    _check_tokenizer(tokenizer, network)
    network = network.to(target).eval().requires_grad_(False)
    check_head(network)
    return LanguageModel(network, tokenizer, _prompt(folder, prompt, tokenizer))


def save(model: LanguageModel, folder: Path) -> None:
    """Write safetensors, tokenizer and prompt style; of an adapter model the adapter only."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if model.has_adapter:
        state = {
            k: v.detach().cpu().contiguous() for k, v in peft.get_peft_model_state_dict(model.network).items()
        }
        safetensors_torch.save_file(state, folder / ADAPTER_FILE, metadata={"format": "pt"})
        model.network.peft_config["default"].save_pretrained(str(folder))
    else:
        # The in-memory names, so that the files' digest is the network's digest.
        with quiet():
            model.network.save_pretrained(folder, safe_serialization=True, save_original_format=False)
    model.tokenizer.save_pretrained(folder)
    (folder / PROMPT_FILE).write_text(json.dumps({"style": model.prompt.style}) + "\n", encoding="utf-8")


def folder_digest(folder: Path, *, base_digest: str | None = None) -> str:
    """Return ``weight_digest`` of a saved directory, from its files alone where ``save`` wrote them.

    An adapter's digest needs ``base_digest``; without it the base is found and digested too.
    """
    folder = Path(folder)
    check_folder(folder)
    if (folder / "adapter_config.json").is_file():
        config = _read_json(folder / "adapter_config.json")
        base = base_digest or folder_digest(_base_folder(folder, config))
        return adapter_digest(base, settings_of(config), _adapter_tensors(folder))
    if (folder / PROMPT_FILE).is_file():
        with _whole_files():
            return files_digest(sorted(folder.glob("*.safetensors")))
    return weight_digest(load(folder, device="cpu"))  # other writers may use other tensor names


def check_folder(folder: Path) -> None:
    """Raise E201 for pickles, E202 for a directory that is not there or lacks a part; nothing is read."""
    if not folder.is_dir():
        raise AuditError(
            "E202",
            f"the model directory {folder.name!r} does not exist",
            "give a local directory; download it first",
        )
    if not any((folder / name).is_file() for name in ("config.json", "adapter_config.json")):
        raise AuditError(
            "E202", "the model directory has no config.json", "give a transformers model directory"
        )
    if any(folder.glob("*.safetensors")):
        return
    pickles = sum(file.suffix in _PICKLES for file in folder.iterdir())
    if pickles:
        raise AuditError(
            "E201",
            f"the weights are {pickles} pickle file(s), which can run code",
            "convert them to safetensors",
        )
    raise AuditError("E202", "the model directory has no *.safetensors file", "save the model as safetensors")


def _check_config(folder: Path) -> None:
    if _read_json(folder / "config.json").get("quantization_config"):
        raise AuditError("E202", "the weights are stored quantized", "give the unquantized checkpoint")


def _load_network(folder: Path) -> Any:
    register_joined()
    try:
        with quiet():
            network, found = transformers.AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=torch.float32,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
            )
    except Exception as error:
        cause = f"the model could not be built ({type(error).__name__})"
        raise AuditError(
            "E202", cause, "check config.json and the weights; own code in a model is not run"
        ) from error
    holes = len(found["missing_keys"]) + len(found["mismatched_keys"])
    if holes:
        raise AuditError(
            "E213", f"{holes} tensors are missing or have the wrong shape", "restore the checkpoint"
        )
    return network


def _load_tokenizer(folder: Path) -> Any:
    if not any((folder / name).is_file() for name in _TOKENIZER_FILES):
        raise AuditError(
            "E204", "the model directory has no tokenizer files", "save the tokenizer beside the weights"
        )
    try:
        with quiet():
            return transformers.AutoTokenizer.from_pretrained(
                folder, trust_remote_code=False, local_files_only=True
            )
    except Exception as error:
        cause = f"the tokenizer could not be read ({type(error).__name__})"
        raise AuditError("E204", cause, "save the tokenizer again beside the weights") from error


def _load_adapter(folder: Path, device: str, prompt: str | None, base: LanguageModel | None) -> LanguageModel:
    config = _read_json(folder / "adapter_config.json")
    ground = base.clone() if base else load(_base_folder(folder, config), device=device, prompt=prompt)
    if ground.has_adapter:
        raise AuditError("E212", "the base of an adapter carries an adapter itself", "merge it first")
    network = peft.get_peft_model(ground.network, peft.LoraConfig.from_pretrained(str(folder)))
    state = _adapter_tensors(folder)
    _check_finite(state)
    expected = set(peft.get_peft_model_state_dict(network))
    if set(state) != expected:
        raise AuditError(
            "E213", f"adapter has {len(state)} tensors, its base {len(expected)} places", "check the base"
        )
    peft.set_peft_model_state_dict(network, state)
    ground.network = network.to(ground.device).eval().requires_grad_(False)
    return LanguageModel(
        ground.network, ground.tokenizer, PromptTemplate(prompt) if prompt else ground.prompt
    )


def _adapter_tensors(folder: Path) -> dict[str, Any]:
    with _whole_files():
        return safetensors_torch.load_file(folder / ADAPTER_FILE)


@contextlib.contextmanager
def _whole_files() -> Iterator[None]:
    try:
        yield
    except safetensors.SafetensorError:
        raise AuditError(
            "E202", "a safetensors file is damaged or cut off", "restore the checkpoint"
        ) from None


def _base_folder(folder: Path, config: dict[str, Any]) -> Path:
    named = config.get("base_model_name_or_path")
    if not named or not Path(named).is_dir():
        raise AuditError("E202", "the adapter's base model is not at hand", "name the base model's directory")
    if Path(named).resolve() == folder.resolve():
        raise AuditError("E202", "the adapter names itself as its base", "name the base model's directory")
    return Path(named)


def _check_finite(state: dict[str, Any]) -> None:
    bad = sum(int((~torch.isfinite(t)).sum()) for t in untied(state).values() if t.is_floating_point())
    if bad:
        raise AuditError(
            "E203", f"{bad} weights are NaN or infinite", "restore or train the checkpoint again"
        )


def _check_tokenizer(tokenizer: Any, network: Any) -> None:
    rows = inner(network).get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise AuditError(
            "E204",
            f"the tokenizer has {len(tokenizer)} tokens, the model {rows} embeddings",
            "use the model's own one",
        )


def _prompt(folder: Path, prompt: str | None, tokenizer: Any) -> PromptTemplate:
    if prompt:
        return PromptTemplate(prompt)
    saved = folder / PROMPT_FILE
    return (
        PromptTemplate(_read_json(saved)["style"])
        if saved.is_file()
        else PromptTemplate.default_for(tokenizer)
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise AuditError(
            "E202", f"{path.name} cannot be read as JSON", "restore the model directory"
        ) from None


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' bars and notes off the terminal for a moment."""
    level, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()
