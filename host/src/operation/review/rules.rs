//! What a statement is held against.

use serde::Serialize;

use crate::operation::rule::rules;

rules! {
    /// What a statement of an operation keeps to.
    Rule
    OneStatement / "one-statement": "Each place holds one statement.",
    StatementKind / "statement-kind": "A statement is of the kind that its place is for.",
    TransactionControl / "transaction-control": "Transactions are begun and ended by who runs the operation.",
    Copy / "copy": "Rows are read and written by queries, not by files and programs of the server.",
    SelectInto / "select-into": "A query makes no table of its rows.",
    DataChangingCte / "data-changing-cte": "What is to give rows changes none.",
    Locking / "locking": "A query locks no rows.",
    Parameters / "parameters": "A statement is complete: nothing is filled in.",
    HiddenText / "hidden-text": "A comment is a comment to every server.",
    EscapedName / "escaped-name": "Names are written as they are, without escapes.",
    TableNotDeclared / "table-not-declared": "Only the tables of the operation are read.",
    SystemCatalog / "system-catalog": "The server's own tables are not read.",
    WritesOutsideTarget / "writes-outside-target": "Nothing is changed but the target.",
    SideEffects / "side-effects": "A function that is called computes a value, and does nothing else.",
    UnknownFunction / "unknown-function": "Where the server does not look, only functions are called that are known to compute a value.",
    UnboundedChange / "unbounded-change": "A change says which rows it is for.",
    AlterOperation / "alter-operation": "What is altered of a table is its columns, their types, defaults and constraints.",
    CreateForm / "create-form": "A new table is made with its columns, by `CREATE TABLE name (column type, …)`, and must not be there.",
    ResultMismatch / "result-mismatch": "The columns of a query are those of the table that they fill.",
    UnnamedColumn / "unnamed-column": "A column that is stored has a name.",
    Syntax / "syntax": "A statement is valid SQL of its dialect.",
    TableNotFound / "table-not-found": "Tables that are named exist.",
    ColumnNotFound / "column-not-found": "Columns that are named exist.",
    FunctionNotFound / "function-not-found": "Functions that are called exist, for the types that they are given.",
    TypeMismatch / "type-mismatch": "Values are of the types that are needed.",
    PermissionDenied / "permission-denied": "The login may do what the statement does.",
    Rejected / "rejected": "The server accepts a statement.",
    NotParsed / "not-parsed": "A statement can be read, or the server tells what it does.",
    NotExamined / "not-examined": "A statement is looked at by the server before it is run.",
}
