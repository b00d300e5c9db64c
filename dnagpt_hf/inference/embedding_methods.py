"""Embeddings as methods of a loaded model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dnagpt_hf.genomes.fasta import Genome
    from dnagpt_hf.inference.embedding import Embedding, Pooling
    from dnagpt_hf.inference.region_embedding import RegionVectors
    from dnagpt_hf.tasks.encoding import Truncation
    from dnagpt_hf.tasks.views import ViewChoice
    from dnagpt_hf.tokenization_dnagpt import DNAGPTTokenizer


class EmbeddingMethods:
    """Methods of [`LoadedModel`] that compute embeddings."""

    model: Any
    tokenizer: DNAGPTTokenizer

    def embed(self, data: Any, *, pooling: Pooling = "mean", **options: Any) -> Any:
        """Embed records as vectors.

        Args:
            data: as for [`predict`].
            pooling: `"mean"` or `"max"` over all tokens of a record, its `"last"` token, or every
                `"token"`.
            **options: as for [`iter_embeddings`].

        Returns:
            `numpy.ndarray`: float32 `(records, hidden)`; with pooling `"token"` a list of arrays
            `(tokens, hidden)`.

        Example:

            >>> import dnagpt_hf
            >>> dnagpt_hf.load("dnagpt-tiny").embed(["ACGTAC", "TTTT"]).shape
            (2, 128)
        """
        import numpy as np

        vectors = [one.vectors for one in self.iter_embeddings(data, pooling=pooling, **options)]
        return vectors if pooling == "token" else np.stack(vectors)

    def iter_embeddings(
        self,
        data: Any,
        *,
        template: str | None = None,
        columns: Mapping[str, str] | None = None,
        set: Mapping[str, Any] | None = None,
        pooling: Pooling = "mean",
        layer: int = -1,
        truncation: Truncation | None = None,
        views: ViewChoice = None,
        batch_size: int = 64,
        batch_tokens: int = 16_384,
    ) -> Iterator[Embedding]:
        """Embed records one after the other, in bounded memory.

        Args:
            data: as for [`predict`], or any iterator of records.
            template: text of the token language with columns in braces, such as `<R>{sequence}`; by
                default the input of the model's task, or `{sequence}` without one.
            columns: as for [`iter_predictions`].
            set: as there.
            pooling: as for [`embed`].
            layer: 0 for the token embeddings, n for the output of layer n; negative numbers count
                from the last layer.
            truncation: end at which too long a sequence is cut; by default it is an error.
            views: as for [`iter_predictions`]; vectors are averaged over the views.
            batch_size: most records of a batch, each as often as it has views.
            batch_tokens: most tokens of a batch, padding included.

        Raises:
            RecordError: a record cannot be read in the token language or is too long.
            ValueError: unknown pooling, a layer that the model does not have, or vectors of tokens
                in several views.
        """
        from dnagpt_hf.inference.embedding import embed_records
        from dnagpt_hf.records.reading import change_columns, to_records

        return embed_records(
            self.model.base_model,
            self.tokenizer,
            change_columns(to_records(data), columns, set),
            template=template,
            pooling=pooling,
            layer=layer,
            truncation=truncation,
            views=views,
            max_records=batch_size,
            max_tokens=batch_tokens,
        )

    def embed_regions(
        self,
        genome: str | Path | Genome,
        regions: str | Path | Iterable[str | tuple[str, int, int]] | None = None,
        *,
        batch_tokens: int = 16_384,
        **settings: Any,
    ) -> Iterator[RegionVectors]:
        """Embed regions of a genome in windows, in bounded memory.

        Args:
            genome: the path of a FASTA file, or an opened genome.
            regions: a BED file, or a list of regions as `"chrI:101-200"` (from 1, both ends
                included) or `("chrI", 100, 200)` (from 0, the end excluded); by default all
                contigs.
            batch_tokens: most tokens of a batch.
            **settings: those of [`~dnagpt_hf.inference.region_embedding.RegionSettings`]:
                `pooling`, `bin_size`, `window`, `stride`, `species`, `layer`, `phases`, `strand`.

        Yields:
            `RegionVectors`: vectors of some windows, with their coordinates.

        Raises:
            ValueError: the settings do not fit the model, or a region the genome.

        Example:

            >>> import tempfile, pathlib, dnagpt_hf
            >>> path = pathlib.Path(tempfile.mkdtemp()) / "genome.fa"
            >>> _ = path.write_text(">chr1\\n" + "ACGTTGCATG" * 9 + "\\n")
            >>> model = dnagpt_hf.load("dnagpt-tiny")
            >>> [found] = model.embed_regions(path, window=30, species="U")
            >>> found.start.tolist(), found.vectors.shape
            ([0, 30, 60], (3, 128))
        """
        from dnagpt_hf.genomes.fasta import open_genome
        from dnagpt_hf.inference.region_embedding import (
            RegionEmbedder,
            RegionSettings,
            regions_to_embed,
        )

        opened = open_genome(genome)
        embedder = RegionEmbedder(
            self.model.base_model,
            self.tokenizer,
            RegionSettings(**settings),
            max_tokens=batch_tokens,
        )
        return embedder.embed(opened, regions_to_embed(opened, regions))
