"""Where packages for models of DNA break for their users, and the tests that keep ours from it.

Each entry is a fault to keep out, in one line, and the tests that fail if it comes in.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
MODEL, TOKENS = "model/test_modeling_dnagpt.py", "model/test_tokenization_dnagpt.py"

PITFALLS: list[tuple[str, list[str]]] = [
    # -- loading and packaging
    (
        "A folder loads only where the package or others beside Transformers are installed.",
        [
            "checkpoints/test_remote_code.py::test_every_auto_class_finds_the_code_in_the_folder",
            "checkpoints/test_saving.py::test_it_loads_where_the_package_is_not_installed",
            f"{TOKENS}::test_auto_tokenizer_from_a_bare_folder",
        ],
    ),
    (
        "The code in a checkpoint imports, if only in a branch, what its user does not have.",
        ["project/test_packaging.py::test_code_of_a_checkpoint_stands_alone"],
    ),
    (
        "A model that is loaded and saved again loses its code, its classes or its type.",
        [
            "checkpoints/test_remote_code.py::test_saved_again_it_is_complete",
            "checkpoints/test_saving.py::test_saved_and_loaded_twice_it_is_still_complete",
        ],
    ),
    (
        "Tied weights come apart, or new weights are not initialised, when a model is loaded.",
        [
            f"{MODEL}::TestTraining::test_tied_embeddings_are_one_tensor_after_loading",
            f"{MODEL}::TestLoading::test_a_model_without_heads_gets_new_ones",
        ],
    ),
    (
        "A second import, or another library that took the name of the model type, is an error.",
        [
            "test_registration.py::test_order_of_imports",
            "test_registration.py::test_another_library_may_have_taken_the_name",
        ],
    ),
    (
        "The import needs packages of side roads, or changes seeds, logging or the GPU.",
        [
            "project/test_packaging.py::test_import_is_light",
            "project/test_packaging.py::test_models_need_nothing_but_transformers",
            "finetuning/test_adapters.py::test_an_unknown_adapter_and_a_missing_package",
        ],
    ),
    (
        "Loading reports weights as missing that are not, or is silent about a head that is new.",
        [
            f"{MODEL}::TestLoading::test_a_checkpoint_of_another_class_lacks_exactly_the_head",
            "checkpoints/test_remote_code.py::test_only_the_new_head_is_missing",
        ],
    ),
    (
        "Half precision does not load, or buffers are left empty that no file holds.",
        [
            "checkpoints/test_remote_code.py::test_loads_in_half_precision",
            f"{MODEL}::TestLoading::test_weights_are_all_there_is_to_a_model",
        ],
    ),
    (
        "Wheel or source distribution lack a file.",
        [
            "project/test_packaging.py::test_wheel_holds_the_whole_package",
            "project/test_packaging.py::test_source_distribution_holds_tests_and_tools",
        ],
    ),
    # -- tokens
    (
        "Ids differ from those of the original at a tail, an N, a digit or an empty text.",
        [
            f"{TOKENS}::test_encoding_equals_the_reference",
            f"{TOKENS}::test_ids_of_the_original",
            f"{TOKENS}::test_empty_input",
        ],
    ),
    (
        "What is no DNA becomes a token without a word.",
        [
            f"{TOKENS}::test_any_text_encodes_or_raises_value_error",
            f"{TOKENS}::test_bad_text_names_what_and_where",
            "project/test_fuzz.py::test_text",
        ],
    ),
    (
        "Decoded ids are not the text that was encoded, and offsets are not those of the bases.",
        [
            f"{TOKENS}::test_canonical_text_is_kept",
            f"{TOKENS}::test_skip_special_tokens_removes_padding_only",
            f"{TOKENS}::test_offsets_cut_the_text_into_the_tokens",
        ],
    ),
    (
        "Special tokens are doubled, or lost in truncation.",
        [f"{TOKENS}::test_no_tokens_are_added", f"{TOKENS}::test_truncation"],
    ),
    (
        "Padded batches come without a mask, or are padded with another id than the model's.",
        [f"{TOKENS}::test_padding", f"{TOKENS}::test_pad_equals_the_call"],
    ),
    (
        "Rows of the embedding beyond the vocabulary are generated, or resizing loses weights.",
        [
            f"{MODEL}::TestLoss::test_entries_that_are_no_tokens_carry_no_probability",
            f"{MODEL}::TestVocabulary::test_resizing_adds_tokens_that_can_be_generated",
            "model/test_generate.py::test_unused_rows_are_never_generated",
        ],
    ),
    (
        "A tokenizer is too large to be sent to workers, or works differently there.",
        [f"{TOKENS}::test_copies_are_equal_and_small", f"{TOKENS}::test_data_loader_workers"],
    ),
    (
        "The fast path for long DNA has other ids than the tokenizer.",
        [
            f"{TOKENS}::test_encode_dna_reads_every_form",
            "pretraining/test_dataset.py::test_ids_are_those_of_the_text",
        ],
    ),
    # -- model
    (
        "A record in a padded batch is answered otherwise than alone.",
        [
            f"{MODEL}::TestBatches::test_a_row_alone_and_in_a_padded_batch",
            f"{MODEL}::TestBatches::test_the_loss_is_that_of_the_rows",
            "inference/test_embedding.py::test_a_row_is_the_record_alone",
            "inference/test_prediction.py::test_batches_change_nothing_and_keep_the_order",
        ],
    ),
    (
        "A row of padding alone gives NaN, or what stands in padding reaches the results.",
        [
            f"{MODEL}::TestBatches::test_a_row_of_padding_is_finite",
            f"{MODEL}::TestBatches::test_the_mean_over_a_row_of_padding_is_zero",
            f"{MODEL}::TestBatches::test_nothing_leaks_from_padding",
        ],
    ),
    (
        "Generation with a cache, in chunks, by beams or in batches gives something else.",
        [
            f"{MODEL}::TestCache::test_chunks_with_left_padding_equal_one_pass",
            "model/test_generate.py::test_tokens_and_numbers_are_those_of_the_plain_loop",
            "model/test_generate.py::test_beams_are_those_of_a_plain_search",
        ],
    ),
    (
        "A record that is too long fails deep inside, or is cut without a word.",
        [
            f"{MODEL}::TestLength::test_a_longer_one_is_refused",
            f"{MODEL}::TestLength::test_the_longest_sequence_works",
            f"{MODEL}::TestLength::test_a_pipeline_refuses_it",
            "model/test_generate.py::test_too_long_is_refused_before_generating",
        ],
    ),
    (
        "Implementations of attention differ, and maps are no causal distributions.",
        [
            f"{MODEL}::TestBatches::test_a_row_alone_and_in_a_padded_batch",
            f"{MODEL}::TestAttention::test_maps_are_causal_distributions",
        ],
    ),
    (
        "Recomputing activations changes gradients, or cuts off those of an adapter.",
        [
            f"{MODEL}::TestTraining::test_gradient_checkpointing_changes_nothing",
            "finetuning/test_adapters.py::test_checkpoints_of_activations_change_no_gradient",
        ],
    ),
    (
        "Labels of a shape that is only broadcast, NaN, or no number at all spoil a loss.",
        [
            f"{MODEL}::TestSequenceClassification::test_one_number_in_either_shape",
            f"{MODEL}::TestSequenceClassification::test_labels_of_another_shape_are_refused",
            f"{MODEL}::TestLoss::test_nan_targets_give_finite_gradients_to_every_weight",
            f"{MODEL}::TestLoss::test_equals_the_plain_reference",
        ],
    ),
    (
        "A classification head reads a padded position.",
        [f"{MODEL}::TestBatches::test_classification_of_a_row_alone_and_in_a_padded_batch"],
    ),
    (
        "Compiling breaks the graph, and names by which a model is divided match nothing.",
        [
            f"{MODEL}::TestTraining::test_compiles_to_one_graph_whatever_numbers_there_are",
            f"{MODEL}::TestLoading::test_names_that_others_split_the_model_by",
            "model/test_tensor_parallel.py::test_two_processes_give_the_logits_of_one",
        ],
    ),
    (
        "An adapter that is saved and loaded, or merged, is another model.",
        [
            "finetuning/test_run.py::test_adapters",
            "finetuning/test_run.py::test_a_run_is_merged_later_and_taken_apart_again",
            "checkpoints/test_adapter_folder.py::test_it_answers_as_the_merged_model",
        ],
    ),
    (
        "A change of the code changes the results of released weights, or conversion loses some.",
        [
            f"{MODEL}::TestLoading::test_golden_values",
            "checkpoints/test_conversion.py::test_export_gives_back_the_file",
            "checkpoints/test_conversion.py::test_an_unexpected_key_is_named",
            "checkpoints/test_conversion.py::test_a_missing_key_is_named",
        ],
    ),
    # -- data and training
    (
        "Files of other systems, soft masks, empty records or ends of contigs are read wrongly.",
        [
            "records/test_reading.py::test_fasta_as_other_systems_write_it",
            "genomes/test_fasta.py::test_slices_are_those_of_a_plain_parser",
            "annotation/test_site_windows.py::test_windows_at_the_end_of_a_contig",
            "annotation/test_site_windows.py::test_the_mirror_image_of_a_genome_gives_the_same_windows",
            "annotation/test_sites.py::test_regions_of_bed",
        ],
    ),
    (
        "One N costs a whole window, or targets stand where nothing is to be learned.",
        [
            "pretraining/test_dataset.py::test_windows_of_n_are_not_drawn",
            "pretraining/test_collator.py::test_positions_masked_in_an_example_are_no_targets",
        ],
    ),
    (
        "The reverse complement of the reverse complement is another sequence.",
        ["genomes/test_bases.py::test_reverse_complement_is_its_own_inverse"],
    ),
    (
        "Records in one row see each other, or are read twice or never, or not after resuming.",
        [
            f"{MODEL}::TestPacking::test_packed_records_do_not_see_each_other",
            "pretraining/test_trainer.py::test_each_row_is_read_once_in_an_epoch",
            "pretraining/test_trainer.py::test_resuming_gives_the_same_losses_and_weights",
            "pretraining/test_dataset.py::test_workers_make_the_same_rows",
            "pretraining/test_processes.py::test_two_processes_train_the_same_model",
        ],
    ),
    (
        "Targets of GC content count N, labels of the order are wrong, a loss has no gradient.",
        [
            "genomes/test_bases.py::test_gc_content_leaves_out_n",
            "pretraining/test_dataset.py::test_order_records_say_whether_the_window_was_reversed",
            "pretraining/test_dataset.py::test_each_objective_has_a_gradient_where_it_should",
        ],
    ),
    (
        "Metrics fail on several outputs or accumulated batches, or are undefined for constants.",
        [
            f"{MODEL}::TestTrainer::test_evaluation_gives_the_loss_and_the_predictions",
            "evaluation/test_metrics.py::test_constant_predictions_and_one_class",
            "evaluation/test_metrics.py::test_numbers_that_say_nothing",
            "evaluation/test_metrics.py::test_several_labels",
        ],
    ),
    (
        "Two runs of one seed differ, and a model cannot even learn a few records by heart.",
        [
            "pretraining/test_dataset.py::test_training_twice_with_one_seed_is_the_same",
            "pretraining/test_dataset.py::test_eight_rows_can_be_learned_by_heart",
        ],
    ),
    (
        "Commands in the documentation and examples do not run.",
        [
            "project/test_readme.py::test_blocks_in_order",
            "project/test_docs_interpretation.py::test_blocks_in_order",
            "project/test_examples_finetuning.py::test_gsr",
            "project/test_demo.py::test_demo_works",
            "cli/test_application.py::test_help_of_every_command",
        ],
    ),
    # -- scores and generation
    (
        "A score depends on what else is in the batch.",
        [
            "interpretation/test_mutagenesis.py::test_batches_change_nothing",
            "project/test_baselines.py::test_probabilities_sum_to_one_and_little_data_means_uniform",
            "project/test_objective_readout.py::test_loss_per_base",
        ],
    ),
    (
        # there are no scores of the variants of a VCF file; its genotypes are read
        "Alleles that do not fit, indels or several alternatives are taken as they are.",
        [
            "haplotypes/files/test_vcf.py::test_records_that_do_not_fit",
            "haplotypes/test_haplotypes.py::test_sites_that_do_not_fit",
            "interpretation/test_mutagenesis.py::test_effects_are_those_of_changed_records",
        ],
    ),
    (
        "Generated DNA has another length than was asked for, other letters, or another seed.",
        [
            "generation/test_constraints.py::test_exact_length_behind_prompts_of_any_length",
            "generation/test_constraints.py::test_n_in_the_prompt_and_on_request",
            "generation/test_constraints.py::test_padding_behind_the_last_base",
            "generation/test_constraints.py::test_a_sequence_does_not_depend_on_its_batch",
        ],
    ),
    (
        "Logarithms of probabilities are computed in the low precision of the weights.",
        [
            f"{MODEL}::TestTraining::test_half_precision",
            "model/test_chunked_loss.py::TestEquality::test_weights_of_low_precision",
        ],
    ),
]


def functions(path: Path) -> set[str]:
    """Names of the tests in a file, behind that of their class if they have one."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            names = [one.name for one in node.body if isinstance(one, ast.FunctionDef)]
            found |= {f"{node.name}::{name}" for name in names}
    return {name for name in found if name.rpartition("::")[2].startswith("test_")}


@pytest.mark.parametrize(("pitfall", "owners"), PITFALLS, ids=range(1, len(PITFALLS) + 1))
def test_it_is_kept_out_by_a_test(pitfall: str, owners: list[str]) -> None:
    assert owners, pitfall
    for owner in owners:
        file, _, name = owner.partition("::")
        assert name in functions(TESTS / file), f"{owner} does not exist: {pitfall}"


def test_every_one_is_another() -> None:
    assert len({pitfall for pitfall, _ in PITFALLS}) == len(PITFALLS) == 40
