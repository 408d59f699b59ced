//! Whether a condition says anything.

use sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value};

/// Whether `condition` holds for every row, as far as that shows without knowing the rows.
pub(super) fn is_always_true(condition: &Expr) -> bool {
    truth(condition) == Some(true)
}

fn truth(condition: &Expr) -> Option<bool> {
    match condition {
        Expr::Nested(inner) => truth(inner),
        Expr::IsTrue(inner) | Expr::IsNotFalse(inner) => truth(inner),
        Expr::IsFalse(inner) | Expr::IsNotTrue(inner) => truth(inner).map(|truth| !truth),
        Expr::IsNull(inner) => value(inner).map(|value| *value == Value::Null),
        Expr::IsNotNull(inner) => value(inner).map(|value| *value != Value::Null),
        Expr::Cast { expr, .. } => truth(expr),
        Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr,
        } => truth(expr).map(|truth| !truth),
        Expr::Value(value) => match &value.value {
            Value::Boolean(truth) => Some(*truth),
            Value::Number(number, _) => Some(number.chars().any(|c| matches!(c, '1'..='9'))),
            Value::SingleQuotedString(text) => {
                let text = text.trim().to_ascii_lowercase();
                match text.as_str() {
                    "t" | "true" | "y" | "yes" | "on" | "1" => Some(true),
                    "f" | "false" | "n" | "no" | "off" | "0" => Some(false),
                    _ => None,
                }
            }
            _ => None,
        },
        Expr::Like {
            negated, pattern, ..
        }
        | Expr::ILike {
            negated, pattern, ..
        } => match value(pattern) {
            Some(Value::SingleQuotedString(text)) if text.chars().all(|c| c == '%') => {
                (!text.is_empty()).then_some(!negated)
            }
            _ => None,
        },
        Expr::BinaryOp { left, op, right } => binary(left, op, right),
        _ => None,
    }
}

fn binary(left: &Expr, op: &BinaryOperator, right: &Expr) -> Option<bool> {
    match op {
        BinaryOperator::And => match (truth(left), truth(right)) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        },
        BinaryOperator::Or => match (truth(left), truth(right)) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        },
        // Not for NULL: but that is not what it is written for.
        BinaryOperator::Eq | BinaryOperator::LtEq | BinaryOperator::GtEq if left == right => {
            Some(true)
        }
        _ => {
            let order = match (value(left)?, value(right)?) {
                (Value::Number(left, _), Value::Number(right, _)) => left
                    .parse::<f64>()
                    .ok()?
                    .partial_cmp(&right.parse::<f64>().ok()?)?,
                (Value::SingleQuotedString(left), Value::SingleQuotedString(right))
                    if matches!(op, BinaryOperator::Eq | BinaryOperator::NotEq) =>
                {
                    left.cmp(right)
                }
                _ => return None,
            };
            match op {
                BinaryOperator::Eq => Some(order.is_eq()),
                BinaryOperator::NotEq => Some(order.is_ne()),
                BinaryOperator::Lt => Some(order.is_lt()),
                BinaryOperator::LtEq => Some(order.is_le()),
                BinaryOperator::Gt => Some(order.is_gt()),
                BinaryOperator::GtEq => Some(order.is_ge()),
                _ => None,
            }
        }
    }
}

fn value(expression: &Expr) -> Option<&Value> {
    match expression {
        Expr::Value(value) => Some(&value.value),
        Expr::Nested(inner) => value(inner),
        _ => None,
    }
}
