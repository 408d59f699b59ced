CREATE TYPE shop.order_status AS ENUM ('new', 'paid', 'shipped', 'cancelled');
CREATE TABLE shop.customers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    "Region" text,
    signed_up date NOT NULL
);
CREATE TABLE shop.orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES shop.customers (id),
    placed_at timestamptz NOT NULL,
    status shop.order_status NOT NULL DEFAULT 'new',
    total numeric(12,2) NOT NULL CHECK (total >= 0),
    discount numeric(5,2),
    tags text[],
    details jsonb
);
CREATE TABLE shop.customer_totals (
    customer_id bigint PRIMARY KEY,
    region text,
    orders bigint NOT NULL,
    revenue numeric(14,2) NOT NULL
);
