; The type of an impl block: it owns the methods, and it implements the trait.
(impl_item type: (type_identifier) @name) @reference.implementor
(impl_item type: (generic_type type: (type_identifier) @name)) @reference.implementor
(impl_item type: (scoped_type_identifier name: (type_identifier) @name)) @reference.implementor

; The grammar's own query calls an alias a class, and a function of an inline module a method.
(type_item name: (type_identifier) @name) @definition.type
(mod_item
  body: (declaration_list (function_item name: (identifier) @name) @definition.function))
