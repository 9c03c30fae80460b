; The whole function, not its declarator alone: what is called in the body is called by it.
(function_definition
  declarator: (function_declarator declarator: (identifier) @name)) @definition.function
(function_definition
  declarator: (pointer_declarator
    declarator: (function_declarator declarator: (identifier) @name))) @definition.function
(function_definition
  declarator: (pointer_declarator
    declarator: (pointer_declarator
      declarator: (function_declarator declarator: (identifier) @name)))) @definition.function

; Prototypes.
(declaration
  declarator: (function_declarator declarator: (identifier) @name)) @definition.declaration
(declaration
  declarator: (pointer_declarator
    declarator: (function_declarator declarator: (identifier) @name))) @definition.declaration

; `enum e x;` and `union u x;` use a type, they do not define it.
(enum_specifier name: (type_identifier) @ignore !body)
(union_specifier name: (type_identifier) @ignore !body)
