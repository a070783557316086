-- What the framework's own migrations would make of lib/model.
CREATE TABLE ev (
  id varchar PRIMARY KEY, block int4 NOT NULL, log_index int4 NOT NULL, tx_hash text NOT NULL, args jsonb NOT NULL
);
CREATE TABLE account (id varchar PRIMARY KEY, balance numeric NOT NULL);
