//! Columns in which some values have another type, however deep they lie.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, FixedSizeListArray, LargeListArray, ListArray, MapArray, StructArray,
};
use arrow_schema::{ArrowError, DataType, Field, FieldRef};

use crate::failure::Failure;

/// The field with `change` applied to it, or to the fields that it is made of.
pub fn field(of: &FieldRef, change: fn(&FieldRef) -> FieldRef) -> FieldRef {
    let inner = |inner: &FieldRef| field(inner, change);
    let kind = match of.data_type() {
        DataType::List(item) => DataType::List(inner(item)),
        DataType::LargeList(item) => DataType::LargeList(inner(item)),
        DataType::FixedSizeList(item, width) => DataType::FixedSizeList(inner(item), *width),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        DataType::Map(entry, ordered) => DataType::Map(inner(entry), *ordered),
        _ => return change(of),
    };
    Arc::new(of.as_ref().clone().with_data_type(kind))
}

/// The column as `to` has it, with `change` applied to what has another type there.
///
/// # Errors
/// Those of `change`.
pub fn array(
    to: &Field,
    from: &Field,
    column: &ArrayRef,
    change: &dyn Fn(&Field, &Field, &ArrayRef) -> Result<ArrayRef, Failure>,
) -> Result<ArrayRef, Failure> {
    if to == from {
        return Ok(column.clone());
    }
    let unfit = |error: ArrowError| {
        let kind = to.data_type();
        Failure::data(format!(
            "the column \"{}\" cannot become {kind}: {error}",
            from.name()
        ))
    };
    let nulls = column.nulls().cloned();
    Ok(match (to.data_type(), from.data_type()) {
        (DataType::List(to), DataType::List(from)) => {
            let list = column.as_list::<i32>();
            let items = array(to, from, list.values(), change)?;
            let offsets = list.offsets().clone();
            Arc::new(ListArray::try_new(to.clone(), offsets, items, nulls).map_err(unfit)?)
        }
        (DataType::LargeList(to), DataType::LargeList(from)) => {
            let list = column.as_list::<i64>();
            let items = array(to, from, list.values(), change)?;
            let offsets = list.offsets().clone();
            Arc::new(LargeListArray::try_new(to.clone(), offsets, items, nulls).map_err(unfit)?)
        }
        (DataType::FixedSizeList(to, width), DataType::FixedSizeList(from, _)) => {
            let items = array(to, from, column.as_fixed_size_list().values(), change)?;
            let (to, rows) = (to.clone(), column.len());
            let lists = FixedSizeListArray::try_new_with_length(to, *width, items, nulls, rows);
            Arc::new(lists.map_err(unfit)?)
        }
        (DataType::Struct(to), DataType::Struct(from)) => {
            let record = column.as_struct();
            let columns = (to.iter().zip(from).zip(record.columns()))
                .map(|((to, from), column)| array(to, from, column, change))
                .collect::<Result<_, _>>()?;
            let rows = column.len();
            let records = StructArray::try_new_with_length(to.clone(), columns, nulls, rows);
            Arc::new(records.map_err(unfit)?)
        }
        (DataType::Map(to, ordered), DataType::Map(from, _)) => {
            let map = column.as_map();
            let entries: ArrayRef = Arc::new(map.entries().clone());
            let entries = array(to, from, &entries, change)?.as_struct().clone();
            let offsets = map.offsets().clone();
            let maps = MapArray::try_new(to.clone(), offsets, entries, nulls, *ordered);
            Arc::new(maps.map_err(unfit)?)
        }
        (to_kind, from_kind) if to_kind == from_kind => column.clone(),
        _ => change(to, from, column)?,
    })
}
