"""The kernel: the hot folds again, compiled, on the same state that the rules read and write.

The rules (``rules``) define what an event does. The kernel does the same for the events that are most of any log, as
long as nothing is unusual about them: transfers, payments and their splits, and a task's way from its creation to its
credit. Whatever it is not sure of (an event that may be refused, a figure that may differ from what is expected, a
kind of event that is rare) it leaves to the rules, one by one, between two calls. Both work on one state, so either
way the same state root comes out; tests hold the two against each other, and SQL (``recompute``) against both.

Records of the hot kinds are rows of integers here (``layout``, ``table``), ids and hashes numbers of words
(``words``), texts numbers of texts (``texts``). Modules of this package other than this one need the compiler
(``deepnode_ledger.compiled``) and are imported only where it is there.
"""
