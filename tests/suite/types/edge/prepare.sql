-- What the other files say the table with. Each value is text that the type's input function
-- reads; the values of a column, and a NULL, repeat over the rows.
CREATE TABLE original (id int PRIMARY KEY);
INSERT INTO original SELECT generate_series(1, 48);

-- Which values Arrow cannot hold: how many a row has, and why not.
CREATE TABLE loss (name text, reason text, count text);
-- What a column's value is when these, and only these, have become null.
CREATE TABLE remainder (name text PRIMARY KEY, value text);

CREATE PROCEDURE edge(name text, type text, VARIADIC list text[]) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE original ADD COLUMN %I %s', name, type);
    EXECUTE format('UPDATE original SET %I = ($1)[1 + (id - 1) %% cardinality($1)]::%s', name, type)
        USING list || NULL::text;
END $$;

CREATE PROCEDURE loses(name text, reason text, count text) LANGUAGE sql AS
    $$ INSERT INTO loss VALUES (name, reason, count) $$;
CREATE PROCEDURE remains(name text, value text) LANGUAGE sql AS
    $$ INSERT INTO remainder VALUES (name, value) $$;
