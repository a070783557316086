"""Exports: the books as files. Row sources give Arrow batches; formats write them; HTTP carries them."""
